import { guardLimits } from './limits';
import { runGuard } from './runGuard';

runGuard(guardLimits(process.platform), process.argv[2] ?? '');
