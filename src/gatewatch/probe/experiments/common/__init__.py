"""What tests of services share: steps that write themselves down, and a check by the control."""
