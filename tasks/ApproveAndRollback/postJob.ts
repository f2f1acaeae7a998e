import { postJobPhase } from '../common/adapters/wiring/postJobPhase';

// The code to resume is loaded only where there is something to do.
postJobPhase((left) => void import('./resume').then(({ runResume }) => { runResume(left); })); // prettier-ignore
