"""The one thing that setup.cfg cannot say: all packages below `server/`, and `migrations/`.

The SQL files live at the top of the repository and travel in the wheel as
`tidegauge/migrations/`.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages("server"), "tidegauge.migrations"])
