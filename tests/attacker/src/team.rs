//! The other cores: they sleep until core 0 has an attack for one of them.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::attack::Attack;
use crate::calls;

const CORES_MAX: usize = 4;
/// No order.
const IDLE: u32 = u32::MAX;

/// One word for each core: the number of the attack that it shall make.
static ORDERS: [AtomicU32; CORES_MAX] = [const { AtomicU32::new(IDLE) }; CORES_MAX];

/// Makes a core attack, and waits until it came back from that.
pub fn run_on(core: usize, attack: Attack) {
    let Some(order) = ORDERS.get(core).filter(|_| core != 0) else { return attack.run() };
    order.store(attack as u32, Ordering::Release);
    calls::wake(1 << core);
    while order.load(Ordering::Acquire) != IDLE {
        calls::park(order, attack as u32);
    }
}

/// What the other cores do for ever.
pub fn follow(core: usize) -> ! {
    let order = &ORDERS[core % CORES_MAX];
    loop {
        match Attack::from_number(order.load(Ordering::Acquire)) {
            Some(attack) => {
                attack.run();
                order.store(IDLE, Ordering::Release);
                calls::wake(1);
            }
            None => calls::park(order, IDLE),
        }
    }
}
