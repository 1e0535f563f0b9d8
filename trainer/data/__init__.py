"""The data of a training: folders, stream normals, known defects, snapshots, banks. It imports no torch."""
