//! The same files give the same bytes and rows, whoever makes them and however often.

use crate::camera::{Camera, patterns};
use crate::frame::Frame;
use crate::made::{Inputs, profile, run};
use process::preview::{TaskFault, run as run_task};
use std::io;

/// More files than make one batch of rows, of unequal size, some of them damaged.
fn delivery() -> Inputs {
    let camera = Camera::wide_field(0.0, false).file(&patterns());
    let mut inputs = Inputs::new();
    for n in 1..=70_usize {
        let bytes = match n % 7 {
            0 => b"damaged".to_vec(),
            _ if n == 3 => camera.clone(),
            _ => Frame::sky(60 + 9 * (n * 5 % 11), 70, 900.0, 12.0).file(),
        };
        inputs = inputs.with(&format!("w20071011_{n:05}_st.fit"), &bytes);
    }
    inputs
}

#[test]
fn neither_repetition_nor_threads_show() {
    let inputs = delivery();
    let profile = profile("");
    let once = run(&inputs.inputs, &profile, 1);
    assert_eq!(once.products.refusals.len(), 10);
    assert_eq!(once.rows().len(), 59 * 2 + 5);
    assert_eq!(once.products.batches.len(), 2);
    for threads in [1, 2, 7] {
        let again = run(&inputs.inputs, &profile, threads);
        assert_eq!(again.names, once.names, "{threads} threads");
        assert_eq!(again.jpegs, once.jpegs, "{threads} threads");
        assert_eq!(again.products.batches, once.products.batches, "{threads} threads");
        assert_eq!(again.products.refusals, once.products.refusals, "{threads} threads");
        assert_eq!(again.products.findings, once.products.findings, "{threads} threads");
        assert_eq!(again.products.input_bytes, once.products.input_bytes, "{threads} threads");
    }
}

#[test]
fn a_full_disk_ends_the_task_with_the_name_of_the_jpeg() {
    let inputs = Inputs::of(&Frame::sky(70, 70, 900.0, 12.0).file());
    let task = crate::made::task(&inputs.inputs, 2);
    let mut left = 1;
    let fault = run_task(&task, &profile(""), &mut |_, _| {
        left -= 1;
        if left < 0 { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    })
    .unwrap_err();
    assert_eq!(fault.to_string(), "w20071011_00001_st_2.jpg could not be written");
    assert!(matches!(fault, TaskFault::Write { .. }));
}

#[test]
fn a_file_that_differs_from_its_registration_is_not_a_refusal() {
    let mut inputs = Inputs::of(&Frame::sky(70, 70, 900.0, 12.0).file());
    inputs.inputs[0].image.bytes += 2880;
    let task = crate::made::task(&inputs.inputs, 1);
    let fault = run_task(&task, &profile(""), &mut |_, _| Ok(())).unwrap_err();
    assert!(matches!(fault, TaskFault::NotAsRegistered { .. }), "{fault}");
}
