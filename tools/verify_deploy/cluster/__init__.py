"""The cluster of one run: control plane, made-up kubelets, the API, and the programs of an operator."""
