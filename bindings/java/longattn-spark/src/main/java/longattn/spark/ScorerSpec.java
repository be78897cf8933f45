package longattn.spark;

import java.io.File;
import java.io.Serializable;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import longattn.Scorer;
import longattn.Setting;
import org.apache.spark.SparkFiles;

/** Which scorer package executors score with, and by which settings. */
public final class ScorerSpec implements Serializable {
    private static final long serialVersionUID = 1;

    /** The scorers of this process. They go with it. */
    private static final Map<ScorerSpec, Scorer> OPEN = new ConcurrentHashMap<>();

    /** Where the package is. */
    private final String scorerPackage;

    /** The settings that are not to have their defaults. */
    private final TreeMap<String, String> settings;

    /**
     * Names a package and settings; nothing is opened yet.
     *
     * @param scorerPackage an absolute path on every executor's machine, or the name of what {@code spark-submit} was given by
     *     {@code --files} or {@code --archives}; the setting {@code onnxruntime} is looked for in the same way
     * @param settings those that are not to have their defaults
     */
    public ScorerSpec(String scorerPackage, Map<String, String> settings) {
        this.scorerPackage = scorerPackage;
        this.settings = new TreeMap<>(settings);
    }

    /** The scorer of this process, which all its tasks share. */
    Scorer scorer() {
        return OPEN.computeIfAbsent(this, ScorerSpec::open);
    }

    /** Whether scores have distance profiles. */
    boolean hasProfile() {
        return Setting.values(settings).get("profile").equals("true");
    }

    private Scorer open() {
        Map<String, String> here = new TreeMap<>(settings);
        here.computeIfPresent("onnxruntime", (key, file) -> find(file));
        return Scorer.open(Path.of(find(scorerPackage)), here);
    }

    private static String find(String name) {
        File shipped = new File(SparkFiles.getRootDirectory(), name);
        return !new File(name).exists() && shipped.exists() ? shipped.getPath() : name;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ScorerSpec && toString().equals(other.toString());
    }

    @Override
    public int hashCode() {
        return toString().hashCode();
    }

    /** {@return the package and the settings} */
    @Override
    public String toString() {
        return scorerPackage + " " + settings;
    }
}
