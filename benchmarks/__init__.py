"""What gatewatch costs (`speed`) and how often it is right (`accuracy`); each is run by hand."""
