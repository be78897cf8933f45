package longattn;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;

/** Native memory and objects of one call, which go when it ends. */
final class Arena implements AutoCloseable {
    /** Most calls need less. */
    private static final long BLOCK_BYTES = 1 << 10;

    private final Deque<Runnable> closers = new ArrayDeque<>();
    private Memory block;
    private long used;

    /** Where the call puts its error. */
    final Pointer error = allocate(Native.POINTER_SIZE);

    /** Memory that is all zeros, aligned for any type. */
    Pointer allocate(long bytes) {
        if (block == null || bytes > block.size() - used) {
            long grown = block == null ? BLOCK_BYTES : Math.min(2 * block.size(), 1 << 20);
            block = new Memory(Math.max(bytes, grown));
            block.clear();
            closers.push(block::close);
            used = 0;
        }
        Pointer place = block.share(used);
        used = (used + bytes + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
        return place;
    }

    Pointer copy(byte[] bytes) {
        Pointer memory = allocate(bytes.length);
        memory.write(0, bytes, 0, bytes.length);
        return memory;
    }

    Pointer copy(int[] numbers) {
        Pointer memory = allocate((long) Integer.BYTES * numbers.length);
        memory.write(0, numbers, 0, numbers.length);
        return memory;
    }

    /** The numbers from the buffer's position on: where they are, if they can be read there, or else a copy. */
    Pointer numbers(FloatBuffer buffer) {
        FloatBuffer rest = buffer.slice();
        if (rest.isDirect() && rest.order() == ByteOrder.nativeOrder()) {
            closers.push(rest::clear); // keeps it reachable
            return Native.getDirectBufferPointer(rest);
        }
        Pointer memory = allocate((long) Float.BYTES * rest.remaining());
        float[] chunk = new float[1 << 14];
        for (long offset = 0; rest.hasRemaining(); ) {
            int count = Math.min(rest.remaining(), chunk.length);
            rest.get(chunk, 0, count);
            memory.write(offset, chunk, 0, count);
            offset += (long) Float.BYTES * count;
        }
        return memory;
    }

    /** A config with these settings. */
    Pointer config(Map<String, String> settings) {
        return config(Abi.longattn_config_new(), settings);
    }

    /** A config that was made for the caller, with these settings changed. */
    Pointer config(Pointer made, Map<String, String> settings) {
        Pointer config = owned(made, Abi::longattn_config_free);
        settings.forEach((key, value) -> {
            byte[] keyBytes = Utf8.encode(key);
            byte[] valueBytes = Utf8.encode(value);
            check(Abi.longattn_config_set(config, copy(keyBytes), keyBytes.length, copy(valueBytes), valueBytes.length, error));
        });
        return config;
    }

    /** An object that lives no longer than the call. */
    Pointer owned(Pointer object, Consumer<Pointer> free) {
        closers.push(() -> free.accept(object));
        return object;
    }

    /** The object that a function puts into a place. */
    Pointer made(Function<Pointer, Integer> function) {
        Pointer place = allocate(Native.POINTER_SIZE);
        check(function.apply(place));
        return place.getPointer(0);
    }

    /** The text that a function puts into a place. */
    String text(Function<Pointer, Integer> function) {
        return textOf(text -> check(function.apply(text)));
    }

    /** The text that is put into a place. */
    String textOf(Consumer<Pointer> call) {
        Pointer text = allocate(2L * Native.POINTER_SIZE);
        closers.push(() -> Abi.longattn_text_free(text));
        call.accept(text);
        return string(text.getPointer(0), text.getLong(Native.POINTER_SIZE));
    }

    /** An array of {@code longattn_path}. */
    Pointer paths(List<Path> paths) {
        Pointer array = allocate(2L * Native.POINTER_SIZE * paths.size());
        for (int index = 0; index < paths.size(); index++) {
            byte[] path = Utf8.encode(paths.get(index).toString());
            array.setPointer(2L * Native.POINTER_SIZE * index, copy(path));
            array.setLong(2L * Native.POINTER_SIZE * index + Native.POINTER_SIZE, path.length);
        }
        return array;
    }

    void check(int status) {
        if (status != 0) {
            throw new LongAttnException(Status.of(status), message(owned(error.getPointer(0), Abi::longattn_error_free)));
        }
    }

    String message(Pointer failure) {
        Pointer length = allocate(Long.BYTES);
        Pointer message = Abi.longattn_error_message(failure, length);
        return string(message, length.getLong(0));
    }

    static String string(Pointer bytes, long length) {
        if (length > Integer.MAX_VALUE - 8) {
            throw new LongAttnException(Status.UNSUPPORTED, "a text of " + length + " bytes is larger than any of Java's arrays");
        }
        return new String(bytes.getByteArray(0, (int) length), StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        closers.forEach(Runnable::run);
    }
}
