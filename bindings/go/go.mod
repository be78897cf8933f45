module longattn

go 1.24
