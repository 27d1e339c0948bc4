import { describeUploadProgress } from './upload-progress.contract.js';

describeUploadProgress('over HTTP', {});
