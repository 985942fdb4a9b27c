"""The command ``labutils``; `main` says what can be asked, and each command's file is imported when it is asked."""
