//! The device tree, and the memory that it leaves for model and arena.

use barellama_abi::layout::{BLOCK_BYTES, PAGE_BYTES};
use barellama_boards::device_tree::{HEADER_BYTES, length, read};
use barellama_boards::memory;
use barellama_kernel::memory_plan::{FreeMemory, ModelMemory};
use barellama_kernel::platform::PhysicalRange;

/// A model that is read from the card, in bytes.
const FILE_BYTES: u64 = 3 << 20;

/// Any bytes as a tree, at an address as firmwares choose it.
pub fn run(data: &[u8]) {
    let mut words = vec![0u64; data.len().div_ceil(8)];
    let tree: &mut [u8] = &mut bytemuck::cast_slice_mut(&mut words)[..data.len()];
    tree.copy_from_slice(data);
    let claimed = length(&tree[..tree.len().min(HEADER_BYTES)]);
    let Some(facts) = read(tree) else { return };
    assert!(claimed.is_none_or(|claimed| claimed >= HEADER_BYTES));
    let ranges = facts.ram.iter().chain(&facts.reserved).chain(&facts.placed_file);
    assert!(ranges.clone().all(|range| range.bytes != 0));
    let Ok(free) = FreeMemory::new(&facts.ram, &facts.reserved) else { return };
    for extent in free.extents() {
        assert!(memory::contains(&facts.ram, extent.start, extent.bytes), "{extent:x?} is no RAM");
        assert!(facts.reserved.iter().all(|taken| !overlap(extent, taken)), "{extent:x?} is taken");
    }
    assert_apart(free.extents());
    if let Ok(plan) = ModelMemory::for_file(free.clone(), FILE_BYTES) {
        check_plan(&plan, &free);
        assert!(plan.model_bytes() >= FILE_BYTES + BLOCK_BYTES);
    }
    let placed = facts
        .placed_file
        .filter(|file| file.start.is_multiple_of(BLOCK_BYTES) && memory::contains(&facts.ram, file.start, file.bytes));
    if let Some(file) = placed {
        let reserved: Vec<PhysicalRange> = facts.reserved.iter().copied().chain([file]).collect();
        let Ok(free) = FreeMemory::new(&facts.ram, &reserved) else { return };
        if let Ok((plan, _)) = ModelMemory::for_placed_file(free, file) {
            assert!(plan.model_bytes() >= file.bytes);
            assert_apart(&[plan.model.as_slice(), plan.arena.as_slice()].concat());
        }
    }
}

fn check_plan(plan: &ModelMemory, free: &FreeMemory) {
    let all = [plan.model.as_slice(), plan.arena.as_slice()].concat();
    assert_apart(&all);
    for extent in &all {
        assert!(extent.start.is_multiple_of(BLOCK_BYTES) && extent.bytes.is_multiple_of(PAGE_BYTES));
        assert!(memory::contains(free.extents(), extent.start, extent.bytes), "{extent:x?} is not free");
    }
}

/// No byte of memory is handed out twice.
fn assert_apart(extents: &[PhysicalRange]) {
    for (index, one) in extents.iter().enumerate() {
        assert!(extents[index + 1..].iter().all(|other| !overlap(one, other)), "{one:x?} is there twice");
    }
}

fn overlap(one: &PhysicalRange, other: &PhysicalRange) -> bool {
    one.start < other.end() && other.start < one.end()
}
