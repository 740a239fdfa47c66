"""The tutorial, run for real: `hotels.csv` and the script that takes it through the whole API.

`hotels.csv` is a selection of the hotel booking data of Antonio, de Almeida and Nunes (2019), "Hotel booking
demand datasets", Data in Brief 22, 41-49, licence CC BY 4.0.
"""
