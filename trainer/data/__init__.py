"""What is trained on: folders, normals of the stream, known defects, snapshots, banks. No torch in here."""
