/**
 * Scores long documents by how far and how evenly a language model's attention reaches back, and selects the best for
 * long-context training.
 *
 * <pre>{@code
 * try (Scorer scorer = Scorer.open(Path.of("model"), Map.of("window", "8192"))) {
 *     Score score = scorer.score(text);
 *     System.out.println(score.dependencyStrength());
 * }
 * }</pre>
 *
 * <p>Failures are {@link longattn.LongAttnException}s; a method that throws has changed nothing. Settings are keys and values,
 * both text, which {@link longattn.Setting#all()} lists. Arrays that are given are read during the call, and never
 * kept. Token ids are unsigned.
 *
 * <p>{@code null} is nowhere allowed and nowhere returned. All classes may be used by any threads at once.
 */
package longattn;
