import { askTask } from './askTask';

askTask(process.env);
