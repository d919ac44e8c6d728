"""`bench` comes from the folder above; the helper module beside this file is found because this file stands here."""
