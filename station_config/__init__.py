"""What a plant sets: stations, recipes, kinds of defect. Read once, checked whole, then never changed."""

from station_config.catalogue import Catalogue, DefectKind
from station_config.loading import (
    Recipe,
    file_beside,
    load_catalogue,
    load_recipe,
    load_station,
    plant_recipes,
    recipe_beside,
    recipe_of,
)
from station_config.schema import (
    ChallengeSettings,
    LaneSettings,
    LineSettings,
    OidcSettings,
    RecipeSettings,
    ResolverSettings,
    StationSettings,
    Title,
    WebhookSettings,
)

__all__ = [
    "Catalogue",
    "ChallengeSettings",
    "DefectKind",
    "LaneSettings",
    "LineSettings",
    "OidcSettings",
    "Recipe",
    "RecipeSettings",
    "ResolverSettings",
    "StationSettings",
    "Title",
    "WebhookSettings",
    "file_beside",
    "load_catalogue",
    "load_recipe",
    "load_station",
    "plant_recipes",
    "recipe_beside",
    "recipe_of",
]
