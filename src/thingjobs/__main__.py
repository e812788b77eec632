from thingjobs.cli import main

main()
