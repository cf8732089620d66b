//! The window against a naive map of cells, over random operations.

use proptest::prelude::*;

use super::*;

const MINERS: u32 = 6;
const HOUR: u64 = 3_600_000;

/// What a shell would have on disk.
type Disk = BTreeMap<CellKey, Cell>;

fn script(miner: MinerId) -> Script {
    Script::from_bytes(vec![0x51, 200 - miner as u8])
}

#[derive(Clone, Debug)]
enum Step {
    Admit(MinerId),
    Release(MinerId),
    Credit(MinerId, u64),
    /// Takes back one of the credits since the last commit.
    Revoke(prop::sample::Index),
    Advance(u64),
    Commit,
    /// Starts again from the disk with a window of this many hours.
    Restart(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let year = 365 * 24 * HOUR;
    let pause = prop_oneof![4 => 0..1_000_000u64, 2 => 0..30 * HOUR, 1 => 0..40 * year];
    prop_oneof![
        3 => (0..MINERS).prop_map(Step::Admit),
        2 => (0..MINERS).prop_map(Step::Release),
        8 => (0..MINERS, prop_oneof![1..1_000u64, 1..u64::MAX / 1_000]).prop_map(|(miner, work)| Step::Credit(miner, work)),
        1 => any::<prop::sample::Index>().prop_map(Step::Revoke),
        4 => pause.prop_map(Step::Advance),
        3 => Just(Step::Commit),
        1 => prop_oneof![Just(24u64), Just(1), Just(7), Just(720)].prop_map(Step::Restart),
    ]
}

/// The window, and beside it what it should hold.
struct Scene {
    window: Window,
    now: u64,
    capacity: usize,
    cells: BTreeMap<(u64, MinerId), (u64, u32)>,
    holds: BTreeMap<MinerId, Vec<RowId>>,
    disk: Disk,
    unwritten: Vec<(RowId, MinerId, u64, u64)>,
}

impl Scene {
    fn new(capacity: usize) -> Scene {
        let now = 50 * 365 * 24 * HOUR;
        Scene {
            window: Window::new(24 * HOUR, capacity, now),
            now,
            capacity,
            cells: BTreeMap::new(),
            holds: BTreeMap::new(),
            disk: Disk::new(),
            unwritten: Vec::new(),
        }
    }

    /// Cells that the window no longer covers are gone.
    fn expire(&mut self) {
        let oldest = (self.now / self.window.slot_ms() + 1).saturating_sub(WINDOW_SLOTS as u64);
        self.cells.retain(|(slot, _), _| *slot >= oldest);
    }

    fn work_of(&self, miner: MinerId) -> (u64, u64) {
        let cells = self.cells.iter().filter(|((_, of), _)| *of == miner);
        cells.fold((0, 0), |sum, (_, cell)| (sum.0 + cell.0, sum.1 + u64::from(cell.1)))
    }

    fn commit(&mut self) {
        self.window.advance(self.now);
        let has_changed = self.window.has_changed();
        let failed = self.window.take_changed();
        assert!(!self.window.has_changed());
        // A commit that fails takes nothing away from the next one.
        self.window.mark_changed(&failed);
        let changed = self.window.take_changed();
        assert_eq!(BTreeMap::from_iter(changed.clone()), BTreeMap::from_iter(failed));
        assert!(has_changed || changed.is_empty());
        assert!(!self.window.has_changed());
        for (key, cell) in changed {
            self.disk.insert(key, cell);
        }
        if let Some(before) = self.window.take_expired_before() {
            self.disk.retain(|key, _| key.slot_start_ms >= before);
        }
        self.unwritten.clear();
    }

    fn restart(&mut self, hours: u64) {
        let old_slot_ms = self.window.slot_ms();
        self.window = Window::new(hours * HOUR, self.capacity, self.now);
        let window = &mut self.window;
        self.disk.retain(|key, cell| window.restore(*key, *cell, &script(key.miner).into()));
        self.holds.clear();
        self.unwritten.clear();
        let slot_ms = self.window.slot_ms();
        let mut cells: BTreeMap<(u64, MinerId), (u64, u32)> = BTreeMap::new();
        for ((slot, miner), (work, shares)) in std::mem::take(&mut self.cells) {
            let cell = cells.entry((slot * old_slot_ms / slot_ms, miner)).or_default();
            *cell = (cell.0 + work, cell.1 + shares);
        }
        self.cells = cells;
        self.expire();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Admit(miner) => match self.window.admit(*miner, &script(*miner).into()) {
                Ok(row) => self.holds.entry(*miner).or_default().push(row),
                Err(full) => {
                    assert_eq!(full.rows, self.capacity);
                    let is_busy = |miner: &MinerId| self.work_of(*miner).1 > 0 || self.holds.contains_key(miner);
                    let busy = (0..MINERS).filter(is_busy).count();
                    // A row that was changed since the last commit may be idle and yet not free.
                    assert!(busy >= self.capacity || self.window.has_changed(), "refused with {busy} rows in use");
                }
            },
            Step::Release(miner) => {
                if let Some(holds) = self.holds.get_mut(miner) {
                    self.window.release(holds.pop().unwrap());
                    self.holds.retain(|_, holds| !holds.is_empty());
                }
            }
            Step::Credit(miner, work) => {
                if let Some(row) = self.holds.get(miner).map(|holds| holds[0]) {
                    let slot = self.window.credit(row, *work, self.now);
                    self.expire();
                    assert_eq!(slot, self.now / self.window.slot_ms());
                    let cell = self.cells.entry((slot, *miner)).or_default();
                    *cell = (cell.0 + work, cell.1 + 1);
                    self.unwritten.push((row, *miner, *work, slot));
                }
            }
            Step::Revoke(which) => {
                if !self.unwritten.is_empty() {
                    let (row, miner, work, slot) = self.unwritten.remove(which.index(self.unwritten.len()));
                    self.window.revoke(row, work, slot);
                    if let Some(cell) = self.cells.get_mut(&(slot, miner)) {
                        *cell = (cell.0 - work, cell.1 - 1);
                    }
                }
            }
            Step::Advance(by) => {
                self.now += by;
                self.window.advance(self.now);
                self.expire();
            }
            Step::Commit => self.commit(),
            Step::Restart(hours) => {
                self.commit();
                self.restart(*hours);
            }
        }
    }

    fn check(&self) {
        assert!(self.window.check());
        let sum = (0..MINERS).map(|miner| self.work_of(miner));
        let totals = sum.fold((0u128, 0), |all, (work, shares)| (all.0 + u128::from(work), all.1 + shares));
        assert_eq!((self.window.total_work(), self.window.total_shares()), totals);
        for miner in 0..MINERS {
            let row = self.window.find(&script(miner)).and_then(|row| self.window.row(row));
            let found = row.map_or((0, 0), |row| (row.work, row.shares));
            assert_eq!(found, self.work_of(miner), "of miner {miner}");
            assert!(row.is_none_or(|row| row.miner == miner));
        }
        assert!(self.window.rows.len() <= self.capacity);
        assert_eq!(self.window.work.len(), self.capacity * WINDOW_SLOTS);
        assert_eq!(self.window.iter().count() + self.window.free.len(), self.window.rows.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_window_is_the_sum_of_its_cells(
        capacity in 2..=6usize,
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let mut scene = Scene::new(capacity);
        for step in &steps {
            scene.step(step);
            scene.check();
        }
        // What is on disk is what a start after a crash would find.
        scene.commit();
        let before = (scene.window.total_work(), scene.window.total_shares());
        scene.restart(scene.window.slot_ms() * WINDOW_SLOTS as u64 / HOUR);
        prop_assert_eq!((scene.window.total_work(), scene.window.total_shares()), before);
        scene.check();
    }
}

#[test]
fn an_idle_row_makes_room_and_a_busy_one_does_not() {
    let mut window = Window::new(24 * HOUR, 2, 0);
    let worked = window.admit(1, &script(1).into()).unwrap();
    window.admit(2, &script(2).into()).unwrap();
    assert_eq!(window.admit(3, &script(3).into()), Err(WindowFull { rows: 2 }));

    // Work keeps a row, connected or not, until it has left the window and was written.
    window.credit(worked, 5, 0);
    window.release(worked);
    assert_eq!(window.admit(3, &script(3).into()), Err(WindowFull { rows: 2 }));
    window.take_changed();
    window.advance(24 * HOUR - 1);
    assert_eq!(window.admit(3, &script(3).into()), Err(WindowFull { rows: 2 }));
    window.advance(24 * HOUR);
    assert!(window.admit(3, &script(3).into()).is_ok());
    assert_eq!(window.find(&script(1)), None);
    assert_eq!(window.admit(1, &script(1).into()), Err(WindowFull { rows: 2 }));
    assert_eq!(window.admit(1, &script(1).into()).unwrap_err().to_string(), "pool is full: 2 addresses");
}

#[test]
fn a_longer_window_counts_nothing_twice() {
    // Two slots of an hour's window are one of a day's: the cell that they become replaces both on disk.
    let mut disk = Disk::new();
    let mut write = |window: &mut Window| {
        disk.extend(window.take_changed());
        disk.clone()
    };
    let mut window = Window::new(HOUR, 2, 0);
    let row = window.admit(1, &script(1).into()).unwrap();
    window.credit(row, 10, 20_000);
    window.credit(row, 10, 40_000);
    write(&mut window);
    for _ in 0..3 {
        let mut longer = Window::new(24 * HOUR, 2, 50_000);
        for (key, cell) in write(&mut window) {
            longer.restore(key, cell, &script(1).into());
        }
        assert_eq!((longer.total_work(), longer.total_shares()), (20, 2));
        let row = longer.admit(1, &script(1).into()).unwrap();
        let slot = longer.credit(row, 7, 60_000);
        longer.revoke(row, 7, slot);
        window = longer;
    }
}
