"""The control plane: one short function per API operation, and the reconciler."""
