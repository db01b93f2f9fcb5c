"""OpenROADM 2.2.1 dialect: device XML to domain facts and back."""
