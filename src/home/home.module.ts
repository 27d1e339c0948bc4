import { Module } from '@nestjs/common';
import { HomeController } from './home.controller.js';

/** The page at `/`. */
@Module({ controllers: [HomeController] })
export class HomeModule {}
