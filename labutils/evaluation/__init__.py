"""From something that samples to scores with intervals: metrics by case, bootstrap over patients, passports, tables."""
