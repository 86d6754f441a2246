"""What the machine and the operating system give: files, memory, devices, threads."""
