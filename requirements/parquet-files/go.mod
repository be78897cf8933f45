// The public parquet-testing files, and others that readers of Parquet once failed on, are in the tests of this module.
module longattn/parquet-files

go 1.21

require github.com/parquet-go/parquet-go v0.32.0
