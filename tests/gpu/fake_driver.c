/* NVIDIA's driver as far as `driver.rs` knows it, for tests without a GPU: memory is the processor's, kernels are computed by
   definition in double precision, and every call is written down. It cannot read machine code, so that it is told what the
   kernel was compiled for. */

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char calls[1 << 16];
static int cuda = 12090, major = 9, minor = 0, head_size = 64, block = 128, allocated = 0, failure = 0;
static char failing[64];

static int call(const char *function, const char *format, ...) {
    size_t used = strlen(calls);
    used += snprintf(calls + used, sizeof calls - used, "%s", function);
    va_list values;
    va_start(values, format);
    used += vsnprintf(calls + used, sizeof calls - used, format, values);
    va_end(values);
    snprintf(calls + used, sizeof calls - used, "\n");
    return strcmp(function, failing) ? 0 : failure;
}

const char *fake_calls(void) { return calls; }

int fake_allocated(void) { return allocated; }

void fake_set(const char *what, int value) {
    if (!strcmp(what, "cuda")) cuda = value;
    else if (!strcmp(what, "capability")) major = value / 10, minor = value % 10;
    else if (!strcmp(what, "head_size")) head_size = value;
    else if (!strcmp(what, "block")) block = value;
    else snprintf(failing, sizeof failing, "%s", what), failure = value;
}

int cuInit(unsigned flags) { return call("cuInit", " %u", flags); }

int cuDriverGetVersion(int *version) { *version = cuda; return 0; }

int cuGetErrorString(int code, const char **text) {
    *text = code == 719 ? "unspecified launch failure" : "some error";
    return 0;
}

int cuCtxGetDevice(int *device) { *device = 3; return call("cuCtxGetDevice", ""); }

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? major : minor;
    return device == 3 ? 0 : 101;
}

int cuLibraryLoadData(void **library, const void *code, int *a, void **b, unsigned options, int *c, void **d, unsigned more) {
    *library = (void *)code;
    return call("cuLibraryLoadData", " %s", memcmp(code, "\x7f" "ELF", 4) ? "ptx" : "cubin");
}

int cuLibraryGetKernel(void **kernel, void *library, const char *name) {
    *kernel = strdup(name);
    return call("cuLibraryGetKernel", " %s", name);
}

int cuKernelSetAttribute(int attribute, int value, void *kernel, int device) {
    return call("cuKernelSetAttribute", " %d of %s to %d", attribute, (char *)kernel, value);
}

int cuMemAllocAsync(void **address, size_t bytes, void *stream) {
    int code = call("cuMemAllocAsync", " %zu", bytes);
    if (code) return code;
    *address = malloc(bytes);
    memset(*address, 0xff, bytes);
    allocated += 1;
    return 0;
}

int cuMemFreeAsync(void *address, void *stream) {
    free(address);
    allocated -= 1;
    return call("cuMemFreeAsync", "");
}

int cuMemsetD8Async(void *address, unsigned char value, size_t bytes, void *stream) {
    memset(address, value, bytes);
    return call("cuMemsetD8Async", " %zu", bytes);
}

struct side { size_t x, y; unsigned type; void *host; char *device; void *array; size_t pitch; };
struct copy { struct side source, target; size_t width, height; };

int cuMemcpy2DAsync_v2(const struct copy *copy, void *stream) {
    for (size_t row = 0; row < copy->height; row++)
        memcpy(copy->target.device + row * copy->target.pitch, copy->source.device + row * copy->source.pitch, copy->width);
    return call("cuMemcpy2DAsync_v2", " %zu rows of %zu to %zu", copy->height, copy->width, copy->target.pitch);
}

#define ARGUMENT(type, index) (*(type *)arguments[index])

static void far_mass(void **arguments, unsigned blocks, unsigned all_heads) {
    const float *queries = ARGUMENT(float *, 0), *keys = ARGUMENT(float *, 1);
    const int64_t *sinks = ARGUMENT(int64_t *, 2);
    float *masses = ARGUMENT(float *, 3), *squares = ARGUMENT(float *, 4);
    int heads = ARGUMENT(int, 5), key_heads = ARGUMENT(int, 6), rows = ARGUMENT(int, 7), length = ARGUMENT(int, 8);
    int first_row = ARGUMENT(int, 9), min_distance = ARGUMENT(int, 10), settings = ARGUMENT(int, 11);
    double scale = ARGUMENT(float, 12), softcap = ARGUMENT(float, 13);
    double *weights = malloc(length * sizeof *weights);
    for (int setting = 0; setting < settings; setting++)
        for (unsigned head = 0; head < all_heads; head++)
            for (unsigned number = 0; number < blocks; number++) {
                const float *of_keys = keys + (size_t)(head / heads * key_heads + head % heads / (heads / key_heads)) * length * head_size;
                double mass = 0, square = 0;
                for (int row = number * block; row < rows && row < (int)(number + 1) * block; row++) {
                    const float *query = queries + ((size_t)head * rows + row) * head_size;
                    double total = 0;
                    for (int key = 0; key <= first_row + row; key++) {
                        double x = 0;
                        for (int i = 0; i < head_size; i++) x += (double)query[i] * of_keys[(size_t)key * head_size + i];
                        x *= scale;
                        if (softcap) x = softcap * tanh(x / softcap);
                        total += weights[key] = exp2(x);
                    }
                    for (int key = sinks[setting]; key <= first_row + row - min_distance; key++) {
                        mass += weights[key] / total;
                        square += weights[key] / total * (weights[key] / total);
                    }
                }
                size_t place = ((size_t)setting * all_heads + head) * blocks + number;
                masses[place] = mass;
                squares[place] = square;
            }
    free(weights);
}

static void sum_blocks(void **arguments, unsigned lines) {
    const float *parts = ARGUMENT(float *, 0);
    double *sums = ARGUMENT(double *, 1);
    int blocks = ARGUMENT(int, 2);
    for (unsigned line = 0; line < lines; line++) {
        sums[line] = 0;
        for (int number = 0; number < blocks; number++) sums[line] += parts[(size_t)line * blocks + number];
    }
}

int cuLaunchKernel(void *kernel, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned thread_y, unsigned thread_z,
                   unsigned shared, void *stream, void **arguments, void **extra) {
    int code = call("cuLaunchKernel", " %s on %ux%ux%u by %ux%ux%u with %u on %zu", (char *)kernel, x, y, z, threads, thread_y,
                    thread_z, shared, (size_t)stream);
    if (code || extra) return code ? code : 1;
    int is_sum = !strcmp(kernel, "sum_blocks"), own = is_sum ? 3 : 14;
    /* Scratch space that none of the kernels uses. */
    if (ARGUMENT(void *, own) || ARGUMENT(void *, own + 1)) return 1;
    if (is_sum) sum_blocks(arguments, x);
    else far_mass(arguments, x, y);
    return 0;
}
