"""The diagnosis department: findings from images and from patient records."""
