"""Operations between the layers, each an entry of fixtures/operations."""
