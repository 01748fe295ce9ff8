"""Ten thousand viewers of one show on one machine: nothing missed, nothing twice, nobody slowed by the stuck."""
