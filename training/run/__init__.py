"""Run: a whole recipe, stage by stage, each done again only where something changed."""
