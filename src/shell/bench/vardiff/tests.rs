//! What VARDIFF must reach, over fewer seeds than the benchmark.
