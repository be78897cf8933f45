//! What a launch of the kernels takes.

use super::driver::{Argument, Driver, Scratch, Stream};
use super::kernels::{Element, FarMassKernel, far_mass, parameters, sum_blocks};
use crate::error::{Error, ErrorKind, Result};

/// Queries and keys whose far mass is asked for. The query of row `i` stands at position `first_row + i`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    /// The type of queries and keys.
    pub(crate) element: Element,
    /// Windows that are computed at once.
    pub(crate) windows: usize,
    pub(crate) heads: usize,
    pub(crate) key_heads: usize,
    /// Queries of each head.
    pub(crate) rows: usize,
    /// Keys of each head.
    pub(crate) length: usize,
    pub(crate) head_size: usize,
    pub(crate) first_row: usize,
    pub(crate) min_distance: usize,
    /// How many numbers of sinks there are.
    pub(crate) settings: usize,
    /// Factor on products of queries and keys.
    pub(crate) scale: f32,
    pub(crate) softcap: Option<f32>,
}

/// Where inputs lie and results go on the GPU. All arrays are without gaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    /// `[windows, heads, rows, head_size]`
    pub(crate) queries: u64,
    /// `[windows, key_heads, length, head_size]`
    pub(crate) keys: u64,
    /// `[settings]`, 64-bit integers
    pub(crate) sink_tokens: u64,
    /// `S1`, `[settings, windows, heads]`, 64-bit floats
    pub(crate) masses: u64,
    /// `S2`, likewise
    pub(crate) square_masses: u64,
}

/// What [`Problem`] gives as numbers of 32 bits.
struct Sizes {
    heads: i32,
    key_heads: i32,
    rows: i32,
    length: i32,
    first_row: i32,
    min_distance: i32,
    settings: i32,
    /// The heads of all windows.
    all_heads: u32,
    /// Sums that are asked for: heads of all windows for each setting.
    lines: u32,
}

/// Keys beyond the last that an index may reach.
const MARGIN: usize = 1024;

/// Heads of all windows, which are the second dimension of a grid.
const MOST_HEADS: usize = 65535;

impl Sizes {
    fn of(problem: &Problem) -> Result<Self> {
        let Problem { windows, heads, key_heads, rows, length, first_row, min_distance, settings, .. } = *problem;
        let wrong = |what: String| Err(Error::new(ErrorKind::InvalidModel, format!("FarMass on a GPU: {what}")));
        if key_heads == 0 || !heads.is_multiple_of(key_heads) {
            return wrong(format!("{heads} heads of queries cannot share {key_heads} of keys"));
        }
        if first_row.checked_add(rows).is_none_or(|end| end > length) {
            return wrong(format!("{rows} queries from position {first_row} on have no keys: these are {length}"));
        }
        if length + MARGIN > i32::MAX as usize {
            return wrong(format!("{length} keys are too many: take shorter windows"));
        }
        let all_heads = windows.saturating_mul(heads);
        if all_heads > MOST_HEADS {
            return wrong(format!("{windows} windows of {heads} heads are too many at once: take fewer"));
        }
        let Ok(lines) = i32::try_from(all_heads.saturating_mul(settings)) else {
            return wrong(format!("{settings} numbers of sinks are too many at once: take fewer"));
        };
        let int = |number: usize| number as i32;
        Ok(Self {
            heads: int(heads),
            key_heads: int(key_heads),
            rows: int(rows),
            length: int(length),
            first_row: int(first_row),
            // More than there are is as good as all.
            min_distance: int(min_distance.min(length)),
            settings: int(settings),
            all_heads: all_heads as u32,
            lines: lines.unsigned_abs(),
        })
    }
}

/// Has the GPU of the calling thread compute the far mass and far square mass of each head, for each number of sinks. Returns
/// when the work stands on the stream. Sums are added in a fixed order, so that they are the same bits each time.
///
/// # Errors
/// [`ErrorKind::InvalidModel`] for shapes that do not fit, [`ErrorKind::Unsupported`] for a GPU or head size that no kernel is
/// for, [`ErrorKind::Runtime`] for what the driver refuses.
///
/// # Safety
/// The arrays are there, in memory of that GPU, until it has done what is on the stream, and nothing else writes them.
pub(crate) unsafe fn far_masses(driver: &Driver, stream: Stream, problem: &Problem, at: &Addresses) -> Result<()> {
    let sizes = Sizes::of(problem)?;
    if sizes.lines == 0 {
        return Ok(());
    }
    if sizes.rows == 0 {
        let bytes = sizes.lines as usize * size_of::<f64>();
        let zero = |address| {
            // SAFETY: the caller's promise.
            unsafe { driver.zero(address, bytes, stream) }
        };
        return zero(at.masses).and_then(|()| zero(at.square_masses));
    }
    let device = driver.device()?;
    let kernel = far_mass(device.capability, problem.element, problem.head_size, problem.softcap.is_some())?;
    let sum = sum_blocks(device.capability)?;
    let (function, sum_function) = (driver.function(kernel.kernel, device)?, driver.function(sum, device)?);

    let blocks = problem.rows.div_ceil(kernel.block) as u32;
    let parts_of_sum = sizes.lines as usize * blocks as usize * size_of::<f32>();
    let parts = [driver.allocate(parts_of_sum, stream)?, driver.allocate(parts_of_sum, stream)?];
    let vectors =
        [problem.windows * problem.heads * problem.rows, problem.windows * problem.key_heads * problem.length];
    // SAFETY: the caller's promise.
    let padded = unsafe {
        [
            padded(driver, stream, problem, &kernel, at.queries, vectors[0])?,
            padded(driver, stream, problem, &kernel, at.keys, vectors[1])?,
        ]
    };
    let [queries, keys] = [(&padded[0], at.queries), (&padded[1], at.keys)]
        .map(|(padded, given)| padded.as_ref().map_or(given, |padded| padded.address));

    let arguments = Arguments { problem, sizes: &sizes, queries, keys, sink_tokens: at.sink_tokens, parts: &parts };
    let arguments: Vec<_> = parameters("far_mass").iter().map(|name| arguments.of(name)).collect();
    // SAFETY: the arguments are in the order of the kernel's parameters, and their arrays are as large as it takes them for.
    unsafe { driver.launch(function, kernel.kernel, [blocks, sizes.all_heads], &arguments, stream)? };
    for (parts, sums) in parts.iter().zip([at.masses, at.square_masses]) {
        let arguments = [Argument::Address(parts.address), Argument::Address(sums), Argument::Integer(blocks as i32)];
        // SAFETY: as above.
        unsafe { driver.launch(sum_function, sum, [sizes.lines, 1], &arguments, stream)? };
    }
    Ok(())
}

/// Vectors as the kernel takes them, where they are not so already: of its head size, with zeros behind the numbers, and at an
/// address that is a multiple of 16.
///
/// # Safety
/// So many vectors of the problem lie at `given`.
unsafe fn padded<'a>(
    driver: &'a Driver,
    stream: Stream,
    problem: &Problem,
    kernel: &FarMassKernel,
    given: u64,
    vectors: usize,
) -> Result<Option<Scratch<'a>>> {
    if problem.head_size == kernel.head_size && given.is_multiple_of(16) {
        return Ok(None);
    }
    let [width, padded_width] = [problem.head_size, kernel.head_size].map(|size| size * problem.element.size());
    let padded = driver.allocate(vectors * padded_width, stream)?;
    // SAFETY: the caller's promise, and so much was allocated.
    unsafe {
        driver.zero(padded.address, vectors * padded_width, stream)?;
        driver.copy_rows(given, padded.address, vectors, width, padded_width, stream)?;
    }
    Ok(Some(padded))
}

/// What the kernel's parameters are given.
struct Arguments<'a> {
    problem: &'a Problem,
    sizes: &'a Sizes,
    queries: u64,
    keys: u64,
    sink_tokens: u64,
    parts: &'a [Scratch<'a>; 2],
}

impl Arguments<'_> {
    fn of(&self, parameter: &str) -> Argument {
        // Logits are in base 2 there.
        let in_base_2 = |factor: f32| Argument::Float((f64::from(factor) * std::f64::consts::LOG2_E) as f32);
        match parameter {
            "queries" => Argument::Address(self.queries),
            "keys" => Argument::Address(self.keys),
            "sink_tokens" => Argument::Address(self.sink_tokens),
            "masses" => Argument::Address(self.parts[0].address),
            "squares_of_masses" => Argument::Address(self.parts[1].address),
            "heads" => Argument::Integer(self.sizes.heads),
            "key_heads" => Argument::Integer(self.sizes.key_heads),
            "rows" => Argument::Integer(self.sizes.rows),
            "length" => Argument::Integer(self.sizes.length),
            "first_row" => Argument::Integer(self.sizes.first_row),
            "min_distance" => Argument::Integer(self.sizes.min_distance),
            "settings" => Argument::Integer(self.sizes.settings),
            "scale" => in_base_2(self.problem.scale),
            "softcap" => in_base_2(self.problem.softcap.unwrap_or_default()),
            other => unreachable!("the kernel has a parameter {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::super::fake::Fake;
    use super::*;
    use crate::attention::{FarRegion, reference_far_mass};
    use crate::cancel::Cancel;
    use crate::random::Random;

    const PROBLEM: Problem = Problem {
        element: Element::Float32,
        windows: 2,
        heads: 4,
        key_heads: 2,
        rows: 150,
        length: 150,
        head_size: 64,
        first_row: 0,
        min_distance: 37,
        settings: 2,
        scale: 0.125,
        softcap: None,
    };
    const SINKS: [i64; 2] = [0, 4];

    struct Arrays {
        queries: Vec<f32>,
        keys: Vec<f32>,
        sums: [Vec<f64>; 2],
    }

    fn arrays(problem: &Problem) -> Arrays {
        let Problem { windows, heads, key_heads, rows, length, head_size, settings, .. } = *problem;
        let mut random = Random(1);
        let mut normal = |count| (0..count).map(|_| random.normal() as f32).collect();
        Arrays {
            queries: normal(windows * heads * rows * head_size),
            keys: normal(windows * key_heads * length * head_size),
            sums: [(); 2].map(|()| vec![f64::NAN; settings * windows * heads]),
        }
    }

    /// Tells a driver what its kernel is compiled for, and has it compute.
    fn computed(fake: Fake, capability: u32, problem: &Problem) -> (Fake, Result<Arrays>) {
        let mut arrays = arrays(problem);
        let fake = fake.compiled_for(capability, problem.head_size, problem.softcap.is_some());
        let [masses, square_masses] = arrays.sums.each_mut().map(|sums| sums.as_mut_ptr().addr() as u64);
        let at = Addresses {
            queries: arrays.queries.as_ptr().addr() as u64,
            keys: arrays.keys.as_ptr().addr() as u64,
            sink_tokens: SINKS.as_ptr().addr() as u64,
            masses,
            square_masses,
        };
        // SAFETY: the fake's memory is ours, and it is done when a call returns.
        let done =
            fake.load().and_then(|driver| unsafe { far_masses(driver, Stream(ptr::dangling_mut()), problem, &at) });
        assert_eq!(fake.allocated(), 0, "memory was not freed");
        (fake, done.map(|()| arrays))
    }

    fn assert_right(problem: &Problem, arrays: &Arrays) {
        let Problem { windows, heads, key_heads, rows, length, head_size, min_distance, scale, softcap, .. } = *problem;
        let queries = ndarray::ArrayView4::from_shape((windows, heads, rows, head_size), &arrays.queries).unwrap();
        let keys = ndarray::ArrayView4::from_shape((windows, key_heads, length, head_size), &arrays.keys).unwrap();
        let mut sums = arrays.sums[0].iter().zip(&arrays.sums[1]);
        for sinks in SINKS {
            let far = FarRegion { min_distance, sink_tokens: sinks as usize };
            for (queries, keys) in queries.outer_iter().zip(keys.outer_iter()) {
                let (scale, softcap) = (scale.into(), softcap.map(f64::from));
                for head in reference_far_mass(queries, keys, scale, softcap, far, &Cancel::default()).unwrap() {
                    let (mass, square_mass) = sums.next().unwrap();
                    assert!((mass - head.mass).abs() <= 1e-5 * head.mass, "{mass} is not {}", head.mass);
                    let apart = (square_mass - head.square_mass).abs();
                    assert!(apart <= 1e-5 * head.square_mass, "{square_mass} is not {}", head.square_mass);
                }
            }
        }
    }

    #[test]
    fn one_launch_sums_blocks_and_two_add_them_up() {
        let (fake, arrays) = computed(Fake::new(), 90, &PROBLEM);
        assert_right(&PROBLEM, &arrays.unwrap());
        let kernel = far_mass(90, Element::Float32, 64, false).unwrap().kernel;
        let sum = sum_blocks(90).unwrap();
        let launches: Vec<_> = fake.calls().into_iter().filter(|call| call.starts_with("cuLaunchKernel")).collect();
        // 150 rows are two blocks of 128; there are eight heads in all, and two numbers of sinks.
        let sums =
            format!("cuLaunchKernel sum_blocks on 16x1x1 by {}x1x1 with {} on 1", sum.threads(), sum.shared_memory);
        let (threads, shared) = (kernel.threads(), kernel.shared_memory);
        let first = format!("cuLaunchKernel far_mass on 2x8x1 by {threads}x1x1 with {shared} on 1");
        assert_eq!(launches, [first, sums.clone(), sums]);
        let allowed = format!("cuKernelSetAttribute 8 of far_mass to {shared}");
        assert!(fake.calls().contains(&allowed) && shared > 48 << 10, "shared memory is allowed first");
        let padding = |call: &String| call.starts_with("cuMemcpy");
        assert!(!fake.calls().iter().any(padding), "what fits is not copied");
    }

    #[test]
    fn smaller_heads_are_padded_with_zeros() {
        for (head_size, softcap, rows) in [(24, None, 130), (80, None, 70), (8, Some(2.0), 3)] {
            let problem = Problem { head_size, softcap, rows, length: rows, ..PROBLEM };
            for capability in [80, 90] {
                let (fake, arrays) = computed(Fake::new(), capability, &problem);
                assert_right(&problem, &arrays.unwrap());
                assert_eq!(fake.calls().iter().filter(|call| call.starts_with("cuMemcpy2D")).count(), 2);
            }
        }
    }

    #[test]
    fn kernels_are_loaded_once() {
        let fake = Fake::new();
        let driver = fake.load().unwrap();
        let kernel = sum_blocks(90).unwrap();
        for _ in 0..3 {
            driver.function(kernel, driver.device().unwrap()).unwrap();
        }
        assert_eq!(fake.calls().iter().filter(|call| *call == "cuLibraryLoadData cubin").count(), 1);
    }

    #[test]
    fn without_queries_the_sums_are_nothing() {
        let (fake, arrays) = computed(Fake::new(), 90, &Problem { rows: 0, ..PROBLEM });
        assert!(arrays.unwrap().sums.concat().iter().all(|sum| *sum == 0.0));
        assert!(!fake.calls().iter().any(|call| call.starts_with("cuLaunchKernel")));
        assert!(computed(Fake::new(), 90, &Problem { settings: 0, ..PROBLEM }).1.is_ok());
    }

    #[test]
    fn newer_gpus_get_ptx() {
        let (fake, arrays) = computed(Fake::new().with("cuda", 13010), 121, &PROBLEM);
        assert_right(&PROBLEM, &arrays.unwrap());
        assert!(fake.calls().contains(&"cuLibraryLoadData ptx".to_owned()));
    }

    fn refused(fake: Fake, capability: u32, problem: &Problem) -> String {
        computed(fake, capability, problem).1.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_the_driver_refuses_is_told_with_what_helps() {
        let small = refused(Fake::new().with("cuMemAllocAsync", 2), 90, &PROBLEM);
        assert!(small.contains("too little free memory") && small.contains("shorter windows"), "{small}");
        let unknown = refused(Fake::new().with("cuLibraryLoadData", 209), 90, &PROBLEM);
        assert!(unknown.contains("newer driver"), "{unknown}");
        let older = refused(Fake::new().with("cuda", 12020), 121, &PROBLEM);
        assert!(older.contains("CUDA 12.2") && older.contains("newer driver"), "{older}");
        let old = refused(Fake::new(), 75, &PROBLEM);
        assert!(old.contains("7.5") && old.contains("--attention standard"), "{old}");
        let broken = refused(Fake::new().with("cuLaunchKernel", 719), 90, &PROBLEM);
        assert!(broken.contains("launch") && broken.contains("unspecified launch failure"), "{broken}");
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let wrong = [
            Problem { key_heads: 3, ..PROBLEM },
            Problem { key_heads: 0, ..PROBLEM },
            Problem { first_row: 1, ..PROBLEM },
            Problem { first_row: usize::MAX, ..PROBLEM },
            Problem { length: i32::MAX as usize, ..PROBLEM },
            Problem { windows: 1 << 14, ..PROBLEM },
            Problem { settings: 1 << 40, ..PROBLEM },
        ];
        for problem in wrong {
            assert!(Sizes::of(&problem).is_err(), "{problem:?}");
        }
        assert_eq!(Sizes::of(&Problem { min_distance: usize::MAX, ..PROBLEM }).unwrap().min_distance, 150);
    }

    #[test]
    fn every_parameter_of_the_kernel_is_known() {
        let expected =
            ["queries", "keys", "sink_tokens", "masses", "squares_of_masses", "heads", "key_heads", "rows", "length"];
        let expected = expected.into_iter().chain(["first_row", "min_distance", "settings", "scale", "softcap"]);
        assert!(expected.eq(parameters("far_mass")), "the fake driver takes them in this order");
        assert_eq!(parameters("sum_blocks"), ["parts", "sums", "blocks"]);
    }
}
