"""Built-in XGBoost: training in algorithm mode, and inference with the output shapes of each image tag."""
