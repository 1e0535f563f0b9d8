"""The API over HTTP: what people and machines read of incidents, and what they do about them."""
