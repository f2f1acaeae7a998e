import { postJobPhase } from '../common/adapters/wiring/postJobPhase';

// The code is loaded only if there is something to repair.
postJobPhase((left) => void import('./repair').then(({ runRepair }) => { runRepair(left); })); // prettier-ignore
