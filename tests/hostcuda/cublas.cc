/* cuBLAS: one matrix product, column-major, sums in double. */
#include <vector>

#include "cublas_v2.h"
#include "hostcuda.h"
#include "tf32.h"

struct cublasContext {
    cudaStream_t stream;
    cublasMath_t math;
    void *workspace;
    size_t bytes;
};

using namespace hostcuda;

namespace
{
/* A stored matrix: `columns` columns of `rows` floats, ld apart. */
struct Matrix {
    const char *what;
    const float *data;
    int rows, columns, ld;

    size_t bytes() const { return sizeof(float) * (rows && columns ? size_t(ld) * size_t(columns - 1) + size_t(rows) : 0); }
    void check_shape() const
    {
        if (ld < (rows > 1 ? rows : 1))
            fault("the leading dimension of %s is %d, its columns have %d rows", what, ld, rows);
        check_device(what, data, bytes());
    }
    void check_values() const
    {
        for (int j = 0; j < columns; j++)
            check_written(what, data + size_t(j) * size_t(ld), size_t(rows) * sizeof(float));
    }
};

struct Product {
    Matrix a, b, c;
    bool transpose_a, transpose_b, tf32;
    int m, n, k;
    float alpha, beta;

    void run() const
    {
        std::vector<double> left(size_t(m) * size_t(k)), sum(static_cast<size_t>(m));

        const double other = other_kernel({ a.data, b.data, c.data });

        a.check_shape();
        b.check_shape();
        c.check_shape();
        a.check_values();
        b.check_values();
        if (beta != 0)
            c.check_values();
        for (size_t i = 0; i < size_t(m); i++)
            for (size_t p = 0; p < size_t(k); p++)
                left[p * size_t(m) + i] = round_tf32(transpose_a ? a.data[i * size_t(a.ld) + p] : a.data[p * size_t(a.ld) + i], tf32);
        for (size_t j = 0; j < size_t(n); j++) {
            float *column = const_cast<float *>(c.data) + j * size_t(c.ld);

            sum.assign(size_t(m), 0);
            for (size_t p = 0; p < size_t(k); p++) {
                const double factor = round_tf32(transpose_b ? b.data[p * size_t(b.ld) + j] : b.data[j * size_t(b.ld) + p], tf32);
                const double *from = &left[p * size_t(m)];

                for (size_t i = 0; i < size_t(m); i++)
                    sum[i] += from[i] * factor;
            }
            for (size_t i = 0; i < size_t(m); i++)
                column[i] = float(other * double(alpha) * sum[i] + (beta != 0 ? double(beta) * double(column[i]) : 0));
            mark_written(column, size_t(m) * sizeof(float));
        }
    }
};
} // namespace

#define HOSTCUDA_ENTER(name)                                                                                                               \
    do {                                                                                                                                   \
        if (enter(name))                                                                                                                   \
            return CUBLAS_STATUS_INTERNAL_ERROR;                                                                                           \
    } while (0)

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
    HOSTCUDA_ENTER("cublasCreate");
    *handle = new cublasContext{ nullptr, CUBLAS_DEFAULT_MATH, nullptr, 0 };
    object_made(*handle, CUBLAS_HANDLE);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
    HOSTCUDA_ENTER("cublasDestroy");
    object_gone(handle, CUBLAS_HANDLE);
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

/* Also takes the workspace away again, as the library does. */
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
    HOSTCUDA_ENTER("cublasSetStream");
    object_check(handle, CUBLAS_HANDLE);
    if (stream)
        object_check(stream, STREAM);
    handle->stream = stream;
    handle->workspace = nullptr;
    handle->bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    HOSTCUDA_ENTER("cublasSetMathMode");
    object_check(handle, CUBLAS_HANDLE);
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes)
{
    HOSTCUDA_ENTER("cublasSetWorkspace");
    object_check(handle, CUBLAS_HANDLE);
    if (uintptr_t(workspace) % ALIGNMENT)
        fault("the workspace is not aligned to %d bytes", int(ALIGNMENT));
    check_device("the workspace", workspace, bytes);
    handle->workspace = workspace;
    handle->bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "an internal cuBLAS operation failed";
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k,
                              const float *alpha, const float *A, int lda, const float *B, int ldb, const float *beta, float *C, int ldc)
{
    HOSTCUDA_ENTER("cublasSgemm");
    object_check(handle, CUBLAS_HANDLE);
    if (m < 0 || n < 0 || k < 0)
        fault("m = %d, n = %d, k = %d", m, n, k);
    if (!m || !n)
        return CUBLAS_STATUS_SUCCESS;
    const bool ta = transa != CUBLAS_OP_N, tb = transb != CUBLAS_OP_N;
    const Product product = { { "A", A, ta ? k : m, ta ? m : k, lda },
                              { "B", B, tb ? n : k, tb ? k : n, ldb },
                              { "C", C, m, n, ldc },
                              ta,
                              tb,
                              handle->math == CUBLAS_TF32_TENSOR_OP_MATH,
                              m,
                              n,
                              k,
                              *alpha,
                              *beta };
    product.a.check_shape();
    product.b.check_shape();
    product.c.check_shape();
    if (overlap(C, product.c.bytes(), A, product.a.bytes()) || overlap(C, product.c.bytes(), B, product.b.bytes()))
        fault("C overlaps A or B");
    enqueue(handle->stream, "cublasSgemm", [product, workspace = handle->workspace, bytes = handle->bytes] {
        check_device("the workspace", workspace, bytes);
        if (bytes)
            scribble(workspace, bytes);
        product.run();
    });
    return CUBLAS_STATUS_SUCCESS;
}
