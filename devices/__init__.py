"""Equipment: device profiles, the gateway that reads and commands them, and twins that speak real Modbus."""
