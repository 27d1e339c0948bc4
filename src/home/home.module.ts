import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { HomeController } from './home.controller.js';

/** The page at `/`. */
@Module({ imports: [AccessModule], controllers: [HomeController] })
export class HomeModule {}
