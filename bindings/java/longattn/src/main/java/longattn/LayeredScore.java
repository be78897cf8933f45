package longattn;

import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;

/** The score of one window by several layers together, and by each alone. */
public final class LayeredScore {
    private final Score score;
    private final List<Layer> layers;

    LayeredScore(Pointer score, Pointer layers, int count) {
        this.score = new Score(score);
        List<Layer> read = new ArrayList<>(count);
        for (int index = 0; index < count; index++) {
            read.add(new Layer(layers.share((long) index * Layer.BYTES)));
        }
        this.layers = List.copyOf(read);
    }

    /** {@return the score by all layers together} */
    public Score score() {
        return score;
    }

    /** {@return each layer, in the order of the package} */
    public List<Layer> layers() {
        return layers;
    }

    /** What one layer says of a window. */
    public static final class Layer {
        static final int BYTES = 48;

        private final int layer;
        private final double dependencyStrength;
        private final double distributionUniformity;
        private final double farSquareMass;

        private Layer(Pointer layer) {
            this.layer = (int) layer.getLong(0);
            dependencyStrength = layer.getDouble(8);
            distributionUniformity = layer.getDouble(16);
            farSquareMass = layer.getDouble(24);
        }

        /** {@return the layer of the model, 0 for the first} */
        public int layer() {
            return layer;
        }

        /** {@return DS of this layer alone} */
        public double dependencyStrength() {
            return dependencyStrength;
        }

        /** {@return DU of this layer alone} */
        public double distributionUniformity() {
            return distributionUniformity;
        }

        /** {@return the far square mass of this layer alone} */
        public double farSquareMass() {
            return farSquareMass;
        }
    }
}
