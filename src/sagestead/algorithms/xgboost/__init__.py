"""Built-in XGBoost: training in algorithm mode, and inference with the output shapes of each image tag.

Rule: threads of OpenMP sleep while they wait for each other. By default they spin, which on a machine that
has other work makes training some fifty times slower (100 rounds on two busy cores: 52.9 s spinning, 0.8 s
sleeping). OpenMP reads the setting when it is loaded, so it is made here, before anything imports `xgboost`.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
