package longattn.spark;

import longattn.Status;

/** Which failures are those of one document or window, and which befall all. */
final class Failures {
    private Failures() {}

    static boolean isFatal(Status status) {
        switch (status) {
            case INVALID_UTF8:
            case INVALID_ARGUMENT:
            case MEMORY_LIMIT:
            case NON_FINITE:
            case TOO_SHORT:
                return false;
            default:
                return true;
        }
    }
}
