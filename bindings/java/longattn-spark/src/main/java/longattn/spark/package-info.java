/**
 * Windows, scores and selections of corpora on Apache Spark: {@link longattn.spark.LongAttnSpark} for programs,
 * {@link longattn.spark.Job} for {@code spark-submit}.
 */
package longattn.spark;
