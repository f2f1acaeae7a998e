import { postJobPhase } from '../common/adapters/wiring/postJobPhase';

// What it takes to repair is loaded only where there is something to repair.
postJobPhase((left) => void import('./repair').then(({ runRepair }) => { runRepair(left); })); // prettier-ignore
