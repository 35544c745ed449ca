"""Renderers: a view laid out for a terminal, Markdown, JUnit and the page. They gather nothing."""
