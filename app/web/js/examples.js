/** Texts to start from: Chinese, English and both in one, per task. */
export const EXAMPLES = {
  classify: {
    zh: "房间很干净，床也舒服，前台的姑娘一直笑着帮我们改行程。早餐花样不多，但豆浆是现磨的，下次还会再来。",
    en: "The room was spotless and the bed was the best I have slept in for months. Breakfast was a little plain, but I would come back.",
    mixed: "这次住的 hotel 位置很好，check-in 只用了三分钟，就是 Wi-Fi 有点慢，总的来说 highly recommended！",
  },
  detect: {
    zh: "我喜欢吃苹裹。今天天汽很好，我们一起去公圆散步，路上的人都很高心。",
    en: "The chef cooked the meal and the car ate it on the mat. I love eating apples in the moming.",
    mixed: "我用 iPhone 拍了一张照骗，发到 email 里，同事都说排得很好看。",
  },
  summarize: {
    zh: `城北的旧铁路停运了二十年，铁轨间长满了芦苇。去年春天，市里决定不拆它，而是把这段四公里长的路基改成一座线形公园。设计师保留了枕木和信号灯，只在两侧加了步道和照明。

工程并不顺利。路基下埋着一条没有图纸的排水管，施工队挖到第三周才发现它，工期因此推迟了两个月。附近的居民起初也担心噪声和停车问题，社区为此开了七次会，最后把两个入口挪到了远离住宅的一侧。

公园在十月开放，第一个周末来了三万多人。孩子们最喜欢那节改成图书室的旧车厢，老人们则把站台当成了下棋的地方。园林局的统计显示，步道沿线的气温比周围街区平均低一度半。

并非所有人都满意。有人觉得照明太暗，有人抱怨厕所太少，沿线的几家小店说房租涨了一成。市里答应明年增设两处厕所，并为老店提供三年的租金补贴。

规划部门认为，这条公园最大的意义不在于多了一片绿地，而在于它把被铁路隔开几十年的两个街区重新连在了一起。`,
    en: `The old railway north of the city had been closed for twenty years, and reeds had grown between its rails. Last spring the council decided not to tear it up but to turn the four kilometres of embankment into a linear park. The designers kept the sleepers and the signal lights, and added only a path and lamps on both sides.

The work did not go smoothly. A drain that no drawing showed lay under the embankment, and the crew found it only in the third week, which cost two months. Neighbours worried about noise and parking at first; after seven meetings two of the entrances were moved to the side away from the houses.

The park opened in October, and more than thirty thousand people came on the first weekend. Children like the carriage that has become a reading room best, while older people have taken over the platform for chess. According to the parks office, the air along the path is on average 1.5 degrees cooler than in the streets around it.

Not everyone is happy. Some find the lamps too dim, others say that there are too few toilets, and a few small shops report that rents have gone up by a tenth. The council has promised two more toilets and three years of rent support for old shops.

Planners say that the point of the park is not one more piece of green, but that it joins two districts which the railway kept apart for decades.`,
    mixed: `上周的 all-hands 上，平台组汇报了把在线推理从 GPU 迁到 CPU 的结果。They measured p99 latency on real traffic for two weeks before drawing any conclusion. 换成 int8 之后，单机吞吐提高了 2.3 倍，准确率只掉了 0.2 个百分点。The monthly bill went down by forty percent. 但迁移也带来了新的问题：长文本请求会把队列堵住，短请求跟着变慢。The fix was to group requests by length instead of by arrival time. 下个季度，他们打算把同样的办法用到摘要服务上。Everyone agreed that the write-up should be published.`,
  },
};
