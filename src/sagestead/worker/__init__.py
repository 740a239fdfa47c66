"""What runs inside the process of one instance or one job. Knows nothing of the control plane."""
