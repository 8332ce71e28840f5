//! The gate of a feed-forward layer.

use crate::compute::float;

/// `x * sigmoid(x)` of each value.
pub fn silu(values: &mut [f32]) {
    #[cfg(target_arch = "aarch64")]
    super::neon::silu(values);
    #[cfg(not(target_arch = "aarch64"))]
    silu_portable(values);
}

/// The definition of [`silu`].
pub fn silu_portable(values: &mut [f32]) {
    for value in values {
        *value = float::silu(*value);
    }
}
