import { postJobPhase } from '../common/adapters/wiring/postJobPhase';

// The code of the repair is loaded only where there is something to repair.
postJobPhase((left) => void import('./repair').then(({ runRepair }) => { runRepair(left); })); // prettier-ignore
